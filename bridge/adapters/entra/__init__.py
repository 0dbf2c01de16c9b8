"""Access tokens from Microsoft Entra through MSAL."""
