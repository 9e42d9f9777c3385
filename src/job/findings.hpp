#pragma once
/// Collects what is wrong with a job while it is read, and turns places in bytes into lines and columns.

#include <string>
#include <string_view>
#include <vector>

#include "job/read.hpp"
#include "job/tree.hpp"

namespace dtrain::job {

class Findings {
 public:
  /// `text` and `overrides` outlive this object.
  Findings(const std::string& text, std::string file, const std::vector<Override>& overrides)
      : text_(text), file_(std::move(file)), overrides_(overrides) {}

  void error(const Spot& spot, std::string message) { add(Diagnostic::Severity::error, spot, std::move(message)); }
  void warning(const Spot& spot, std::string message) { add(Diagnostic::Severity::warning, spot, std::move(message)); }

  bool empty() const { return found_.empty(); }
  /// Line of a spot in the job file, from 1; 0 if it is elsewhere.
  int line(const Spot& spot) const;
  /// All of them: what belongs to the whole file first, then by place, then by override.
  std::vector<Diagnostic> take();

 private:
  struct Found {
    Spot spot;
    Diagnostic diagnostic;
  };
  void add(Diagnostic::Severity severity, const Spot& spot, std::string message);
  void locate(const Spot& spot, Diagnostic& diagnostic) const;

  const std::string& text_;
  std::string file_;
  const std::vector<Override>& overrides_;
  std::vector<Found> found_;
  std::size_t untold_ = 0;
};

/// Offset of the first byte that no text may hold (not UTF-8, or a control other than tab and line ends), or npos.
std::size_t find_bad_byte(std::string_view text);

/// Characters (code points) in valid UTF-8.
std::size_t count_characters(std::string_view text);

/// 'text', shortened when long, for messages.
std::string in_quotes(std::string_view text);

/// "a, b and c".
std::string in_words(const std::vector<std::string>& words, std::string_view last = "and");

/// "; did you mean 'x'?" or "".
std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace dtrain::job
