/// data WHAT FILE|JOB: looks at data files, or converts them.

#include "base/error.hpp"
#include "cli/verbs.hpp"

namespace dtrain::cli {

int data(const Options& options) {
  if (options.what == "info") return data_info(options);
  if (options.what == "convert") return data_convert(options);
  fail(Kind::internal, "there is nothing called {} to do with data", options.what);
}

}  // namespace dtrain::cli
