"""Consent Ledger: was this person's data used for training only inside what they had allowed at that time?"""
