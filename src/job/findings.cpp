#include "job/findings.hpp"

#include <algorithm>
#include <tuple>

#include "base/text.hpp"

namespace dtrain::job {
namespace {

/// Nobody reads more, and a hostile file shall not cost more.
constexpr std::size_t most_told = 100;

/// Bytes of the well-formed UTF-8 character at the front, or 0 (Unicode, table 3-7).
std::size_t character_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto within = [&](std::size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return within(1, 0x80, 0xbf) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80, high = first == 0xed ? 0x9f : 0xbf;
    return within(1, low, high) && within(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80, high = first == 0xf4 ? 0x8f : 0xbf;
    return within(1, low, high) && within(2, 0x80, 0xbf) && within(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return (first < 0x20 && first != '\t' && first != '\n' && first != '\r') || first == 0x7f;
  return character.size() == 2 && first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

}  // namespace

std::size_t find_bad_byte(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = character_size(text.substr(at));
    if (size == 0 || is_control(text.substr(at, size))) return at;
    at += size;
  }
  return std::string_view::npos;
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 60;
  if (text.size() <= longest) return fmt::format("'{}'", text);
  std::size_t end = longest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return fmt::format("'{}...'", text.substr(0, end));
}

std::string in_words(const std::vector<std::string>& words, std::string_view last) {
  if (words.size() < 2) return words.empty() ? std::string() : words.front();
  return fmt::format("{} {} {}", fmt::join(words.begin(), words.end() - 1, ", "), last, words.back());
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  constexpr std::size_t longest_name = 64;
  if (word.size() > longest_name) return "";
  const auto meant = nearest(word, candidates);
  return meant ? fmt::format("; did you mean '{}'?", *meant) : "";
}

int Findings::line(const Spot& spot) const {
  if (spot.source != 0 || spot.at > text_.size()) return 0;
  return 1 + static_cast<int>(std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(spot.at), '\n'));
}

void Findings::locate(const Spot& spot, Diagnostic& diagnostic) const {
  if (spot.source > 0) {
    diagnostic.place.file = "--set " + overrides_[static_cast<std::size_t>(spot.source) - 1];
    return;
  }
  diagnostic.place.file = file_;
  if (spot.at > text_.size()) return;
  const std::string_view before = std::string_view(text_).substr(0, spot.at);
  const std::size_t start = before.rfind('\n') + 1;  // npos + 1 is 0
  const std::string_view token = std::string_view(text_).substr(spot.at, spot.length);
  diagnostic.place.line = line(spot);
  diagnostic.place.column = 1 + static_cast<int>(count_characters(before.substr(start)));
  diagnostic.length = std::max(1, static_cast<int>(count_characters(token.substr(0, token.find_first_of("\r\n")))));
}

void Findings::add(Diagnostic::Severity severity, const Spot& spot, std::string message) {
  if (found_.size() == most_told) {
    ++untold_;
    return;
  }
  Found found{spot, {}};
  found.diagnostic.severity = severity;
  found.diagnostic.message = std::move(message);
  locate(spot, found.diagnostic);
  found_.push_back(std::move(found));
}

std::vector<Diagnostic> Findings::take() {
  const auto order = [](const Found& found) {
    return std::tuple(found.spot.source, found.diagnostic.place.line, found.diagnostic.place.column);
  };
  std::stable_sort(found_.begin(), found_.end(), [&](const Found& a, const Found& b) { return order(a) < order(b); });
  std::vector<Diagnostic> all;
  for (Found& found : found_) all.push_back(std::move(found.diagnostic));
  if (untold_ > 0) {
    Diagnostic last;
    last.place.file = file_;
    last.message = fmt::format("{} more are not shown", untold_);
    all.push_back(std::move(last));
  }
  found_.clear();
  return all;
}

}  // namespace dtrain::job
