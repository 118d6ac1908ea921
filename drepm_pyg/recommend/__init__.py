"""A trained model put to use: top-k for known users, new users and new items, and files to serve from."""

from drepm_pyg.recommend.recommender import Recommender

__all__ = ["Recommender"]
