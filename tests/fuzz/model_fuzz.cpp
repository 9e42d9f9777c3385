/// Any bytes as a saved model: read, or refused with an Error; what was read has a weight for every place of its
/// layout.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "model/layout.hpp"
#include "store/model_file.hpp"

using namespace dtrain;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const store::SavedModel saved = store::decode_model({reinterpret_cast<const char*>(data), size}, "input");
    if (model::make_layout(saved.model, saved.encoding.width).total != saved.weights.size()) std::abort();
  } catch (const Error& error) {
    if (error.kind() != Kind::checkpoint) std::abort();
  }
  return 0;
}
