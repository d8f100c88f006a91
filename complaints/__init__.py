"""What went wrong, and what it adds up to: complaints, findings, cases, tallies. Empty until they are built."""
