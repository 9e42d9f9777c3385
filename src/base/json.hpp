#pragma once
/// JSON as the whole project writes and reads it: keys keep the order in which they were written.

#include <nlohmann/json.hpp>

namespace dtrain {

using Json = nlohmann::ordered_json;

}  // namespace dtrain
