/// Any bytes as a checkpoint: read, or refused with an Error.
///
/// An input is progress.json, a line that holds only "---", and state.safetensors.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "store/checkpoint.hpp"

using namespace dtrain;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view border = "\n---\n";
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t at = bytes.find(border);
  const std::string_view progress = bytes.substr(0, at);
  const std::string_view tensors = at == bytes.npos ? std::string_view() : bytes.substr(at + border.size());
  try {
    const store::State state = store::decode_state(tensors, progress, "input");
    const auto whole = [&state](const std::vector<Arena>& moments) {
      for (const Arena& moment : moments)
        if (moment.size() != state.weights.size()) std::abort();
    };
    whole(state.moments);
    for (const store::OwnState& own : state.own) {
      if (own.weights.size() != state.weights.size()) std::abort();
      if (own.moments.size() != state.own.front().moments.size()) std::abort();
      whole(own.moments);
    }
    if (!state.policy.is_object()) std::abort();
    store::weights_hash(state.weights.span());
  } catch (const Error& error) {
    if (error.kind() != Kind::checkpoint) std::abort();
  }
  return 0;
}
