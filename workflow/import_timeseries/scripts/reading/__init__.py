"""How stage read gets one tidy table out of the files that people submit."""
