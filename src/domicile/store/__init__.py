"""The database: every definition as revisions, what can be asked of them, and what runs.

The service opens it with `domicile.store.store.Store`; nobody else imports SQLAlchemy.
"""
