#pragma once
/// Terms and their meanings in two columns, for --help and explain.

#include <string>

namespace dtrain::cli {

inline constexpr int page_width = 80;

/// "  term      what it means, wrapped at page_width and indented below itself\n". A term longer than `term_width` has
/// a line of its own.
std::string entry(const std::string& term, int term_width, const std::string& meaning);

}  // namespace dtrain::cli
