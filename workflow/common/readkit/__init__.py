"""Reading tables out of the files that people submit, for all job types."""
