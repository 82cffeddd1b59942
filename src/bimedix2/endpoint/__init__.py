"""What every client of an OpenAI-compatible server needs: addresses, prices, replies and named errors."""
