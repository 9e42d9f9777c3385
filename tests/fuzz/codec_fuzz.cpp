/// The decoders' door: whatever bytes come, they are refused with a reason, or fill the vector and are of a length that
/// the encoder writes.

#include <cmath>
#include <cstdlib>
#include <vector>

#include "codec_door.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dtrain;
  using namespace dtrain::codec;
  const auto input = input_of(std::as_bytes(std::span(data, size)));
  if (!input) return 0;
  std::vector<float> out(input->count);
  if (const auto refusal = make_decoder(input->options, input->count)->decode(input->bytes, out)) {
    if (refusal->why.empty()) std::abort();
    return 0;
  }
  const job::Codec codec = input->options.codec;
  if (codec != job::Codec::zstd && input->bytes.size() > most_bytes(input->options, input->count)) std::abort();
  if (codec == job::Codec::qsgd || codec == job::Codec::onebit || input->options.signs)
    for (const float value : out)
      if (!std::isfinite(value)) std::abort();
  return 0;
}
