#pragma once

#include <string_view>
#include <vector>

namespace varve::resp {

// Splits an inline request into words as Redis does: blanks between them, "double quotes" with
// \n \r \t \b \a \xHH and \c for any other c, 'single quotes' with \' only; a closing quote ends
// the word and must be followed by a blank or the end. False if the quotes are not balanced.
//
// Words lie within [begin, end), which is overwritten: unquoted, a word is never longer.
bool SplitInlineWords(char* begin, char* end, std::vector<std::string_view>& words);

}  // namespace varve::resp
