"""Trials as pods: kopf and informers bring the news, one task a study decides, writes and acts."""
