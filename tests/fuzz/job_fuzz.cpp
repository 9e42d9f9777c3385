/// The job reader as libFuzzer calls it: no text may crash it, hang it or make a job that does not read back.
/// Bytes after a first NUL are overrides, one a line. The corpus is replayed by the unit tests.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/text.hpp"
#include "job/read.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dtrain::job;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  std::vector<Override> overrides;
  if (end != std::string::npos) overrides = dtrain::split(std::string_view(input).substr(end + 1), '\n');
  const ReadResult first = read_job(input.substr(0, end), "fuzz.yaml", overrides);
  if (first.diagnostics.empty() != render(first).empty()) std::abort();
  if (!first.ok()) return 0;
  const ReadResult second = read_job(write_job(first.job), "other.yaml");
  if (!second.ok() || !(second.job == first.job)) std::abort();
  return 0;
}
