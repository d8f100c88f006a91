"""The regulator's desk, dashboards and public pages. Reads all rooms, owned by none. Empty until it is built."""
