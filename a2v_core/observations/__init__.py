"""What the latent space is like: Observations 2 to 5 of the paper (§4.1)."""
