"""The verbs of who may call. Each changes rows and writes its events in one transaction.

Keyword-only; `by` is who acts, `at` the instant that the door asked the clock for. No verb takes a past instant.
"""
