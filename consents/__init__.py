"""What subscribers have said, and what follows: holdings, registrations, authorizations, refusals, the ruling, checks, receipts."""
