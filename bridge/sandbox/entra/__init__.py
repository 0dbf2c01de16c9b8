"""The directory that says who an app is: OpenID discovery, keys, tokens, and refusals as Entra words them."""
