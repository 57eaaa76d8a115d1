"""One offline HTML file per result; reads results, computes nothing."""
