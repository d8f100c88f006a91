"""What subscribers have said, and what follows: holdings, registrations, authorizations, the ruling, checks."""
