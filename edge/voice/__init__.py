"""Voice: from the sound of a phrase to one point of the latent space."""
