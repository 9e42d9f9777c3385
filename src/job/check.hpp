#pragma once
/// What the rules of check*.cpp share: a job, what of it was given, and where to complain.

#include <initializer_list>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "job/bind.hpp"

namespace dtrain::job {

class Rules {
 public:
  Rules(const Job& whole, const Given& given, Findings& findings);

  /// Keys at fault: the first that was given has the place.
  using Paths = std::initializer_list<std::string>;

  /// True if none of these keys lacks a sound value; a rule on an unsound value would only repeat the complaint.
  bool sound(Paths paths) const;
  bool given(const std::string& path) const { return given_.spots.count(path) > 0; }
  /// Given, and neither the default nor what `auto` stands for. Only such a key is told to be idle, so that a job with
  /// every key written out reads.
  bool changed(const std::string& path) const;

  template <class... Args>
  void error(Paths paths, fmt::format_string<Args...> text, Args&&... args) {
    if (sound(paths)) findings_.error(spot(paths), fmt::format(text, std::forward<Args>(args)...));
  }
  template <class... Args>
  void warning(Paths paths, fmt::format_string<Args...> text, Args&&... args) {
    if (sound(paths)) findings_.warning(spot(paths), fmt::format(text, std::forward<Args>(args)...));
  }
  /// Warns of a changed key that nothing reads: "train.optimizer.momentum is not used by sgd; ...".
  void idle(const std::string& path, const std::string& why);

  const Job& job;

 private:
  Spot spot(Paths paths) const;
  Job defaults_;
  Job resolved_;  ///< the defaults, with what `auto` stands for
  Job copy_;
  const Given& given_;
  Findings& findings_;
};

void check_model(Rules& rules);
void check_data(Rules& rules);
void check_columns(Rules& rules);  ///< called by check_data()
void check_train(Rules& rules);
void check_cluster(Rules& rules);
void check_split(Rules& rules);  ///< called by check_cluster()
void check_hosts(Rules& rules);  ///< called by check_cluster()
void check_sync(Rules& rules);
void check_assertions(Rules& rules);

/// Whether the whole run is one process, without servers.
bool is_alone(const Rules& rules);

/// Whether one network is spread over several workers.
bool is_split(const Rules& rules);

/// Whether nobody has the same weights as another, and no server owns any: one process, or one of each part of a
/// network that is split.
bool is_single(const Rules& rules);

/// Who shares the rows: "4 workers" or, where the network is split, "2 replicas".
std::string sharers(const Rules& rules);

/// Whether the job names rows to test on.
bool has_test_part(const Data& data);

}  // namespace dtrain::job
