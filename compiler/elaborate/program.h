// What elaboration makes of a file: a Program of graph functions, and everything that the runtime must know to feed and
// train them. Instances are gone: their parameters are listed with full paths, their code is inlined in the entries.
#ifndef GRADC_ELABORATE_PROGRAM_H
#define GRADC_ELABORATE_PROGRAM_H

#include "grammar/ast.h"
#include "graph/graph.h"

typedef struct {
    const char *path;            // "mlp.hidden.W"
    const char *documentation;   // or NULL
    Node *variable;              // its node; dtype and (static) shape stand there
    int64_t offset;              // in elements, in the flat array of all parameters
    int64_t count;               // elements
    Node *initial;               // its first value: a graph of constants, iota and random sites
    bool frozen;
    Span span;
} Parameter;

// A `state` of a net or loss: further input and, in a training step, further result of an entry.
typedef struct {
    const char *path;
    Node *variable;
    int64_t offset, count;   // in elements of the flat array of states of that dtype
    Node *initial;
    Span span;
} State;

typedef enum { ENTRY_LOSS, ENTRY_METRIC, ENTRY_NET, ENTRY_FUNCTION } EntryKind;

typedef struct {
    State *state;
    Node *value;   // what a training step stores
} StateUpdate;

// A condition on the open dims that must hold when an entry is called (S3): `extent` >= 0.
typedef struct {
    const Extent *extent;
    const char *message;   // "the slice 1:5 ends behind the axis of N elements"
    Span span;
} Check;

// An integer input whose elements must lie in [0, count): class numbers. What fills it must look, since comparing with
// a number that no class has would quietly give zeros.
typedef struct {
    Node *input;   // one of the entry's arguments
    const Extent *count;
    Span span;
} IndexRange;

// A function that a host can call: every loss and metric, and every net and fn whose signature has no static
// parameters and only concrete dtypes. Inputs are function.arguments; results are its results in order.
typedef struct {
    EntryKind kind;
    const char *name;
    const char *documentation;
    Function function;             // in eval mode (`training` false)
    Function training;             // with `training` true; then its updates
    ARRAY(StateUpdate) updates;    // of `training`
    ARRAY(const char *) reports;   // names of `report`s: further results of both functions, after the returned ones
    ARRAY(Check) checks;
    ARRAY(IndexRange) ranges;
    bool reads_iterations;   // `iterations`, in either mode
    Span span;
} Entry;

// What of a data block's files an argument of its fields stands for. All numbers are f64.
typedef enum {
    FEED_COLUMNS,   // f64[rows, columns]: columns of a table, the first ones
    FEED_NAMED,     // the columns with these names: f64[rows, names], or of one name f64[rows]
    FEED_ARRAY      // f64[rows, ...]: the array of that name
} FeedKind;

typedef struct {
    FeedKind kind;
    const char **names;   // FEED_NAMED, FEED_ARRAY
    int name_count;
    Node *variable;   // its index is the feed's number in the block
    Span span;
} Feed;

// An array that a data block gives, with one row for each row of its files.
typedef struct {
    const char *name;   // which entry input it feeds, by name
    Function value;     // arguments: the variables of the feeds that it reads; one result
    Span span;
} DataField;

typedef struct {
    const char *name;
    const char *file;            // as written; several are apart by ", "; NULL: none
    ARRAY(const char *) files;   // where they are: beside the program's file that declares the block
    ARRAY(Feed) feeds;
    ARRAY(DataField) fields;
    ARRAY(Check) checks;    // on sizes of arrays that only the files know
    double split;           // share of rows that train; the rest is held out. 1: none is
    const char *stratify;   // the field whose values have the same shares on both sides; NULL: none
    bool may_miss;          // cells may be missing, and are then `missing`, which may be NaN
    double missing;
    const Name *missing_words;   // texts that mean a missing cell, besides an empty one
    int missing_word_count;      // 0: the usual ones
    Span span;
} DataBlock;

// A run-time scalar of a train block: a number of an optimizer or a gradient map that the host can change.
typedef struct {
    const char *name;              // "lr"
    const char *const *patterns;   // of the parameters that its optimizer is for: "*.b"
    int pattern_count;             // 0: no optimizer's, or that of all other parameters
    double constant;               // its value when training begins
} Hyperparameter;

// A number of an optimizer that the program computes, such as a learning rate made of `iteration`: a host cannot set it.
typedef struct {
    const char *name;    // "lr"
    const Node *value;   // made of VARIABLE_HYPERPARAMETER of index 0 and 1
    Span span;
} Schedule;

// One optimizer of a train block: its update as a graph. If it works on each element alone, it is one for a vector of any
// length [P], which updates parameters that lie one behind the other as one; else there is one for each parameter.
// Arguments of `update`: parameter, gradient, then the states, all of one shape; then numbers: hyperparameters
// (VARIABLE_HYPERPARAMETER of f64, whose index is the slot in the frame) and measures (VARIABLE_ARGUMENT, whose index is
// a result of TrainBlock.measures). Results: the new parameter, then the new states.
typedef struct {
    const char *name;   // "adam"
    Function update;
    bool elementwise;
    int state_count;
    Node **state_initial;       // rank-0 constants, e.g. zeros
    const char **state_names;   // "m", "v"
    Span span;
} Optimizer;

typedef struct {
    const char *loss;   // the entry
    Entry *entry;
    DataBlock *data;   // NULL: the host feeds it
    ARRAY(Optimizer *) optimizers;
    int *optimizer_of;                       // by trained parameter, its number in `optimizers`
    const char *optimizer_words;             // "adam, sgd for *.b"
    int state_count;                         // of the optimizer that has most
    ARRAY(Hyperparameter) hyperparameters;   // by slot in the frame; 0 is `iteration`, 1 `iterations`
    ARRAY(Schedule) schedules;
    bool reads_iterations;   // some update depends on `iterations`
    // What maps of the gradient ask of it as a whole, such as its norm. Arguments: the trained parameters' gradients as
    // one vector, then hyperparameters. Results: numbers. Without maps that ask there are none.
    Function measures;
    Function gradient;   // arguments: the loss's; results: loss, its reports, then d loss / d parameter for
                         // each trained parameter in order, then the state updates: the joint graph
    int report_count, trained_count, update_count;
    Parameter **trained;   // those that the loss reaches and that are not frozen
    int64_t batch, epochs, repeat;
    int64_t steps;   // of an epoch, where no data says it
    uint64_t seed;
    Span span;
} TrainBlock;

typedef struct {
    Graph *graph;
    Dtype floating;             // what `float` means: DTYPE_F32 or DTYPE_F64
    ARRAY(const char *) dims;   // names of the open dims; the index is the dim's number
    ARRAY(Parameter *) parameters;
    int64_t parameter_count;   // elements of the flat array
    ARRAY(State *) states;
    ARRAY(Entry *) entries;
    ARRAY(DataBlock *) data;
    ARRAY(TrainBlock *) trains;
} Program;

typedef struct {
    Dtype floating;   // --float
} ElaborateOptions;

// Checks `file`, with what it imports in it, against the language and builds its program. Errors go to `diagnostics`; the result is then NULL.
Program *elaborate(Arena *arena, Diagnostics *diagnostics, const File *file, const ElaborateOptions *options);

#endif
