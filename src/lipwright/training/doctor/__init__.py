"""``lipwright train doctor``: why does a sync expert not learn?"""
