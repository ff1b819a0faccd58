"""What operators were told of: incidents, those that last first."""

from __future__ import annotations

from apiflask import APIBlueprint
from sqlalchemy import select

from webapp.api import auth
from webapp.api.schemas_operations import IncidentOut, IncidentsIn, IncidentsOut
from webapp.models import Incident

blueprint = APIBlueprint("incidents", __name__)


@blueprint.get("/incidents")
@blueprint.input(IncidentsIn, location="query", arg_name="query")
@blueprint.output(IncidentsOut)
def list_incidents(query: IncidentsIn) -> IncidentsOut:
    """List the incidents.

    Those that last, then the latest of those that have ended. Operators get a mail when one begins,
    and one when it ends.
    """
    auth.require("operator")
    newest = select(Incident).order_by(Incident.id.desc())
    with auth.service().db.read() as session:
        found = list(session.scalars(newest.where(Incident.ended.is_(None))))
        ended = newest.where(Incident.ended.is_not(None)).limit(query.limit)
        found += session.scalars(ended)
    return IncidentsOut(incidents=[IncidentOut.model_validate(incident) for incident in found])
