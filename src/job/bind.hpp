#pragma once
/// From a tree to a Job, by the catalogue; and what was given where, so that contradictions can be placed.

#include <map>
#include <set>
#include <string>

#include "job/findings.hpp"
#include "job/job.hpp"
#include "job/tree.hpp"

namespace dtrain::job {

/// Which keys a job names. Paths number their entries: "model.layers[0].dropout", "assert[1]".
struct Given {
  std::map<std::string, Spot> spots;  ///< where the value stands; of a map its name
  std::set<std::string> broken;       ///< without a sound value: the field holds its default
};

/// Defaults first, then what the tree says. `job` is whole afterwards, whatever was wrong.
void bind(const Node& root, Job& job, Given& given, Findings& findings);

/// "unknown key 'x' in train; did you mean 'y'?", or where else there is such a key, or which keys there are.
std::string unknown_key(const std::string& name, const std::string& map, const std::string& shown_map);

/// Puts the value of the k-th override (from 1) into the tree, in place of what the key had.
void apply_override(const Override& text, int k, Node& root, Findings& findings);

/// Keys that contradict each other or are idle.
void check(const Job& job, const Given& given, Findings& findings);

}  // namespace dtrain::job
