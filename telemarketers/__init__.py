"""Who may call, and on what terms: firms, credentials, calling numbers, mandates, matters, policy, sanctions."""
