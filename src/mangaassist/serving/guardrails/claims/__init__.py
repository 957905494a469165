"""What an answer claims: typed values and prose, held against what is known."""
