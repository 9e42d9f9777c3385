#pragma once
/// What each verb does: one function, in one file, that returns the exit code or throws Error.

#include "cli/options.hpp"

namespace dtrain::cli {

int run(const Options& options);
int resume(const Options& options);
int worker(const Options& options);
int server(const Options& options);
int loader(const Options& options);
int bench(const Options& options);
int simulate(const Options& options);
int check(const Options& options);
int plan(const Options& options);
int eval(const Options& options);
int predict(const Options& options);
int inspect(const Options& options);
int verify(const Options& options);
int verify_resume(const Options& options);  ///< verify resume
int data(const Options& options);
int data_info(const Options& options);
int data_convert(const Options& options);  ///< data info
int init(const Options& options);
int compare(const Options& options);
int report(const Options& options);
int explain(const Options& options);
int schema(const Options& options);
int completions(const Options& options);
int man(const Options& options);

}  // namespace dtrain::cli
