"""Lists of jobs: filters, order, pages and counts, fast however many jobs there are."""

from webapp.listing.counting import COUNTED, counts
from webapp.listing.filters import Filters, moment
from webapp.listing.order import SORTS, Order
from webapp.listing.paging import Page, every, page

__all__ = ["COUNTED", "SORTS", "Filters", "Order", "Page", "counts", "every", "moment", "page"]
