"""What the stage scripts of all job types share: problems, files, the command-line frame."""
