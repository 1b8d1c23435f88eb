"""The log's tree, formats and judgements, alone and against what other programs say."""
