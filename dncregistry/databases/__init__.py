"""Django's own database backends, with a deadline in every wait (dncregistry/deadline.py) and the circuit breaker."""
