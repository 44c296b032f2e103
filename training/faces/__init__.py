"""The world of faces-vae and faces-gan."""
