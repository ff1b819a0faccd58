"""What stage check looks for; each module gives all problems of its kind."""
