"""`/credits`: what an account has, buying more of it, refunds, and every document of that.

`app.py` lists the pages, `desk.py` is what they share, `view.py` how what they show is written.
"""
