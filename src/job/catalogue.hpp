#pragma once
/// The one catalogue of a job's keys: from it come the parser, `explain`, the man page, the JSON Schema, the
/// completions and write_job(). A key that is not here does not exist.

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "job/job.hpp"

namespace dtrain::job {

/// What a person may know about a key.
struct KeyInfo {
  std::string path;  ///< "train.optimizer.learning_rate"; list entries: "model.layers[].dense"
  std::string
      type;  ///< "integer", "number", "boolean", "text", "path", "choice", "length", "time", "list of text", "map", ..
  std::string range;                 ///< "> 0", "[0, 1)", ""
  std::string unit;                  ///< "step or epoch", "s, min or h", ""
  std::vector<std::string> choices;  ///< of a choice
  std::string default_text;          ///< as a job would have it; "(required)" if there is none
  std::string help;                  ///< one sentence
};

/// In the order in which a job file is best written.
const std::vector<KeyInfo>& keys();

/// The key, or nullptr.
const KeyInfo* find_key(std::string_view path);

/// What a job says to choose this policy: "bsp".
std::string policy_name(PolicyName policy);
std::string topology_name(TopologyKind kind);
/// The policy of that name, and all names in order.
std::optional<PolicyName> policy_named(const std::string& name);
const std::vector<std::string>& policy_names();

/// What a job says to choose this codec: "onebit".
std::string codec_name(Codec codec);

/// JSON Schema (2020-12) of a job, for editors.
Json schema();

}  // namespace dtrain::job
