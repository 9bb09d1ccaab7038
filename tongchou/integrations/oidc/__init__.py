"""Single sign-on with OpenID Connect. Knows the provider's protocol; must not decide what a role may do."""
