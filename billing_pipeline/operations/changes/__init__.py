"""Changes of what a customer owes: plans, subscriptions, discounts, catalogs; recorded, and shown before."""
