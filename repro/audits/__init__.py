"""Audits of the suite itself: are its verdicts calibrated, stable, and able to notice a framework that is wrong."""
