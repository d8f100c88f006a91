"""What every app writes to: phone numbers, pseudonyms, who acts, events that nothing may rewrite, working days."""
