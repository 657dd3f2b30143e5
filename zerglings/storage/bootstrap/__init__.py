"""Brings a store from any state to ready. ``runner`` knows no store; the steps beside it do."""
