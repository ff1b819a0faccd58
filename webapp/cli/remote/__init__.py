"""Commands that talk to a service elsewhere; they need nothing of it but its address."""
