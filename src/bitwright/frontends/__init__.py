"""Networks of other tools and frameworks, as programs."""
