"""Networks: beta-VAEs on spin configurations, their training and their use (torch, single device)."""
