"""Migrations of the database: one file per revision in `versions`, run by `webapp.migrate`."""
