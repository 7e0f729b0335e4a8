// Inside elaboration: an abstract interpreter of the syntax tree whose values are graph nodes and compile-time things.
//
// Calls of nets and functions are inlined: each gets a Frame, whose names are bound to Values. Shapes and dtypes are
// known for every value, so a generic function is checked anew for each call, with the caller's types. Whatever is
// wrong is reported before a node is built; the value VALUE_ERROR then goes through everything that uses it in silence.
#ifndef GRADC_ELABORATE_ELABORATOR_H
#define GRADC_ELABORATE_ELABORATOR_H

#include "elaborate/program.h"
#include "support/nearest.h"

typedef struct Elaborator Elaborator;
typedef struct Value Value;
typedef struct Instance Instance;
typedef struct Frame Frame;
typedef struct Builtin Builtin;
typedef struct Binding Binding;
typedef struct CallArguments CallArguments;

typedef struct {
    const Extent *extents[MAX_RANK];
    int rank;
} Shape;

// The functions of one name: overloads, or a primitive of builtins.def.
typedef struct {
    const char *name;
    bool library;
    const Builtin *builtin;      // or NULL, then:
    ARRAY(const Item *) items;   // fn, loss, metric
} Callable;

// A net to make instances of: dense, or dense<2, 3>.
typedef struct {
    const Item *net;
    bool library;
    bool is_applied;   // its static parameters are given:
    Binding *statics;
} Template;

typedef enum {
    VALUE_ERROR,    // reported already
    VALUE_TENSOR,   // node
    VALUE_NUMBER,   // a weak constant: an integer polynomial of the dims, or a real number
    VALUE_BOOL,     // known when compiled
    VALUE_STRING,
    VALUE_NONE,
    VALUE_LIST,    // [a, b]: a shape where one is expected, else a tensor
    VALUE_TUPLE,   // (a, b)
    VALUE_FUNCTION,
    VALUE_NET,   // a net with static parameters: only `use` makes something of it
    VALUE_INSTANCE,
    VALUE_INSTANCES,   // use block[4]
    VALUE_PARAMETERS   // parameters(instance): one flat vector
} ValueKind;

struct Value {
    ValueKind kind;
    bool weak;   // TENSOR: takes the dtype of what it meets; held as f64 or i64 until then
    union {
        Node *node;
        struct {
            const Extent *integer;   // NULL: real
            double real;
        } number;
        bool boolean;
        const char *string;
        struct {
            Value *items;
            int count;
        } list;   // LIST, TUPLE
        const Callable *callable;
        const Template *net;
        Instance *instance;   // INSTANCE, PARAMETERS
        struct {
            Instance **items;
            int count;
        } instances;
    };
};

struct Binding {
    const char *name;
    Value value;
    Binding *next, *next_in_bucket;
};

typedef struct Scope {
    struct Scope *parent;   // NULL: the frame's outermost
    Binding *bindings;      // all, the latest first; of many also by name
    Binding **buckets;
    int binding_count, bucket_count;
} Scope;

// What a `*name` of a signature stands for; the name of the plain one is "*".
typedef struct Pack {
    const char *name;
    Shape shape;
    struct Pack *next;
} Pack;

// One call that is being inlined.
struct Frame {
    Frame *caller;
    const Item *item;   // NULL: the file's own level
    Span call;          // where it is called, in the caller's text
    bool library;       // the item is the library's
    bool is_use;        // an instance is being made, not called
    Scope *scope;
    Pack *packs;
    Instance *instance;   // of a net
    Dtype floating;       // what `float` means
    bool returned;
    Value result;
    Span result_span;
    struct Loop *loop;   // the innermost loop of this body that is being elaborated
    Span named;          // the whole value of the assignment that is being evaluated: it gets a name by that
};

typedef enum {
    MEMBER_PARAMETER,
    MEMBER_STATE,
    MEMBER_INSTANCE,
    MEMBER_INSTANCES,
    MEMBER_ERROR   // its declaration was wrong, which is reported
} MemberKind;
typedef struct {
    MemberKind kind;
    const char *name;
    Parameter *parameter;
    State *state;
    Instance *instance;
    Instance **instances;
    int instance_count;
} Member;

// A net with its own parameters (S4): one for each `use`, and one for the bare name of a net. Losses and metrics, which
// may have parameters, states and instances too, are instances of themselves.
struct Instance {
    const Item *net;
    const char *path;   // "mlp.hidden"
    Instance *parent;
    bool library, frozen;
    bool foreign;   // a root of the library's own files
    int order;      // of a root: where its declaration stands among those of all files
    Span span;
    Binding *statics;
    ARRAY(Member) members;   // in order of declaration
    int draws;               // random numbers drawn by the entry being elaborated:
    const struct EntryContext *drawn_for;
};

// Everything of one name at the level of a file. Calls look for the instance, then the net, then the functions.
// A declaration of the library that was not parsed yet.
typedef struct Pending {
    const Source *source;
    uint32_t begin, end;
    ItemKind kind;
    struct Pending *next;
} Pending;

typedef struct Global {
    const char *name;
    bool library;
    int dim;                                                // number of the open dim, or -1
    const Item *constant, *use, *net, *optimizer, *block;   // block: data or train
    Value constant_value;
    enum { CONSTANT_NEW, CONSTANT_BUSY, CONSTANT_DONE } constant_state;
    bool use_busy, has_use_value;
    Value use_value;
    Instance *shared;   // the file's one instance of a net without static parameters, or of a loss
    bool shared_busy;   // it is being made
    bool is_template;   // some `use` is made from this net
    bool is_used;       // its name was looked up
    Callable *functions;
    struct Pending *pending;   // of the library: declarations that are parsed when the name is looked up
    Span span;                 // of its first declaration
    struct Global *next;
} Global;

enum { GLOBAL_BUCKETS = 256 };

typedef struct {
    State *state;
    Node *value;
} StateValue;
typedef ARRAY(Named) Reports;

// What the entry being elaborated gathers, in one mode.
typedef struct EntryContext {
    Entry *entry;
    bool training;
    bool mode_matters;          // `training` was read, or a state was
    ARRAY(StateValue) states;   // current values, when they differ from the variables
    Reports reports;
} EntryContext;

struct Elaborator {
    Arena *arena;
    Diagnostics *diagnostics;   // where messages go now: those of a loop that is tried out are put aside
    Diagnostics *messages;      // where they go else, and always those about instances and constants
    Graph *graph;
    Program *program;
    const File *file;
    Global *user[GLOBAL_BUCKETS];
    Global *library[GLOBAL_BUCKETS];
    Frame *frame;
    EntryContext *context;             // NULL: not inside an entry
    Node *iteration, *iterations;      // numbers in the frame: slots 0 and 1 of the hyperparameters
    bool updates;                      // an optimizer or a setting of a train block is being elaborated
    const char *initialising;          // path of the parameter whose first value is being made; else NULL
    int initial_draws;                 // random numbers that this value drew
    int file_draws;                    // and those outside of instances
    struct Override *overrides;        // instances called with other parameters
    struct Loop *bodies;               // the innermost loop with a body, in whatever frame
    int *marks, mark_capacity, mark;   // of the walk in progress: by node id, which walk marked it last
    bool binds_dims;                   // the next call is an entry's: its dims are the file's
    ARRAY(const Node *) softmaxes;     // results of that function
    ARRAY(Instance *) roots;           // instances of the file's level
    int depth;                         // of expressions, so that hostile input can't exhaust the stack
    int64_t work;                      // expressions evaluated, so that it can't take forever
};

// ---- report.c

// Reports an error at the user's line: inside library code it is the call that led there, with a note for the library's.
void report(Elaborator *e, DiagnosticId id, Span span, const char *format, ...) __attribute__((format(printf, 4, 5)));
// The same, and gives VALUE_ERROR.
Value failure(Elaborator *e, DiagnosticId id, Span span, const char *format, ...) __attribute__((format(printf, 4, 5)));
// A warning at the user's line, also from a loop that is only tried out. `advice`: what would mend it; or NULL.
void warn(Elaborator *e, DiagnosticId id, Span span, const char *advice, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void help(Elaborator *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
Value refuse(Elaborator *e, Span span, const char *what);   // not supported yet
Span user_span(const Elaborator *e, Span span);             // the span itself, or of the user's call that led there
const char *describe(Elaborator *e, Value value);           // "f32[N, 64]", "the number 3", "a function"
const char *describe_shape(Elaborator *e, const Shape *shape);   // "[N, 64]"
const char *describe_number(Elaborator *e, const Extent *extent);

// ---- scope.c

Scope *scope_push(Elaborator *e);
void scope_pop(Elaborator *e);
void bind_name(Elaborator *e, Scope *scope, const char *name, Value value);
Binding *find_binding(const Elaborator *e, const char *name);   // in the current frame; NULL: none
void assign(Elaborator *e, const char *name, Value value);      // again where it is bound, else innermost
Global *find_global(Elaborator *e, const char *name);           // as the current frame sees it; NULL: none
Global *find_in_library(Elaborator *e, const char *name);
Global *declare_global(Elaborator *e, bool library, Name name);
void declare_file(Elaborator *e, const File *file, bool library);

// ---- standard.c
void declare_library(Elaborator *e);
void declare_pending(Elaborator *e, Global *global);   // parses what was noted of the name
bool is_name_known(Elaborator *e, const char *name);   // whether look_up finds something
Value look_up(Elaborator *e, Name name);               // or an error with "did you mean"
bool is_declared(const Global *global);

// ---- suggest.c: names that are near, or NULL

Pack *find_pack(Elaborator *e, const char *name);
const char *pack_name(const Dimension *dimension);                                    // *N, or plain *
void suggest_shape(Elaborator *e, const Type *type, const Shape *shape, Span span);   // help for a mismatch
Value unknown_name(Elaborator *e, Name name);                                         // reports it
const char *similar_optimizer(const Elaborator *e, const char *name);
const char *similar_size(const Elaborator *e, const char *name);   // a dim or constant of the program
const char *similar_net(const Elaborator *e, const char *name);

// ---- ranges.c

// The numbers, which must lie in [0, count): of an input as they are, with the promise that they do; computed ones are
// clamped, and the first that does not fit is recorded.
Node *numbers_in_range(Elaborator *e, Node *numbers, const Extent *count, Span span);
// If the numbers are an input's: whoever fills it must see to it that all lie in [0, count).
void require_range(Elaborator *e, Node *numbers, const Extent *count, Span span);

// ---- nets.c, members.c

// The instance of a net without static parameters, or of a loss or metric; made when first asked for. NULL: reported.
Instance *shared_instance(Elaborator *e, Global *global, Span span);
Value use_value(Elaborator *e, Global *global);
// What `dense` or `dense<2, 3>` stands for where an instance is made, in the current frame. False: reported.
bool find_template(Elaborator *e, Name name, const StaticArgument *arguments, int count, bool has_arguments, Span span,
                   Template *template);
Value member_value(Elaborator *e, Instance *instance, const Member *member);
Value instance_member(Elaborator *e, Instance *instance, Name name);
void bind_members(Elaborator *e, Instance *instance);         // in the current frame's root scope
Node *state_value(const Elaborator *e, const State *state);   // what the entry has made of it up to here
void set_state(Elaborator *e, State *state, Node *value);
void store_states(Elaborator *e, Instance *instance);       // what the frame's names of states are now
Node *flat_parameters(Elaborator *e, Instance *instance);   // NULL: it has none, reported
Node *flat_part(Elaborator *e, Node *flat, const Extent *offset, const Node *like);   // in like's shape
int collect_parameters(Instance *instance, Parameter **parameters);                   // `parameters` NULL: counts
// f(shape, arguments), as `~ f(arguments)` says; zeros where nothing is said. NULL: reported.
Node *initial_value(Elaborator *e, const Initialiser *initialiser, Dtype dtype, const Shape *shape, const char *path);
void number_parameters(Elaborator *e);   // order, offsets, indices in the program
// A new random tensor (S11). Inside a loop's body it is drawn outside, for all iterations. NULL: reported.
Node *draw_random(Elaborator *e, Op op, Dtype dtype, const Shape *shape, Span span);

typedef struct Override {
    Instance *root;
    Node *flat;
    struct Override *next;
} Override;

// ---- statements.c, loops.c, body.c

void run_block(Elaborator *e, const Block *block);
void run_statement(Elaborator *e, const Statement *statement);
// Adds a report of that full name, or replaces it: in a loop's body to the loop, else to the entry.
void add_report(Elaborator *e, const char *name, Node *node);
// Binds a name, and names the node of a tensor so.
void assign_named(Elaborator *e, const char *name, Value value);

typedef struct {
    Name name;
    ARRAY(Value) values;   // unrolled: one for each iteration; in a body: one
    Span span;
} Yield;

typedef struct {
    Node *source;     // what the loop goes over, or a carry's first value
    Node *variable;   // what stands for it in the body
} LoopInput;

// A gradient in a body that is not seen to depend on its targets, but may by what is carried, which is known when the
// loop ends.
typedef struct {
    NodeArray values;   // that one of the targets must be reached from
    NodeArray targets;
    Value target;   // as it was asked for
    Span span;
} Waiting;

// A loop that is being elaborated: unrolled, or as a body whose variables are arguments of its function.
typedef struct Loop {
    struct Loop *outer_body;   // the next one with a body, in whatever frame
    bool has_body;
    const Extent *trips;          // with a body
    ARRAY(LoopInput) sequences;   // with a body; random numbers drawn in it are added
    Reports reports;              // with a body: of one iteration
    ARRAY(Yield) yields;
    ARRAY(Waiting) waiting;   // with a body
} Loop;

void run_for(Elaborator *e, const Statement *statement);
// The loop as a node: its results are the last carries, then the yields stacked. `results`: new carries, then yields.
// NULL: reported.
Node *make_loop(Elaborator *e, const Loop *loop, const LoopInput *carries, int carry_count, const Named *results,
                int result_count, Span span);
// The values with the derivative `results`, one for each argument, which are computed from the values' cotangents.
Node *make_custom(Elaborator *e, const NodeArray *values, const NodeArray *arguments, const NodeArray *cotangents,
                  const Named *results);
// What a variable of a body goes over, else the node itself.
Node *loop_source(const Elaborator *e, Node *node);

// ---- gradients.c

// Walks over the graph mark nodes; what a walk costs is what it visits, not what the graph holds.
void marks_begin(Elaborator *e);
bool marks_add(Elaborator *e, const Node *node);   // true: not marked since marks_begin
// Whether the node is computed from a variable or an open dim.
bool reads_variables(Elaborator *e, Node *node);
bool depends_on(Elaborator *e, Node *node, Node *target);
bool report_unused(Elaborator *e, Value target, Span span);   // that no gradient flows to it; false

// ---- traps.c

// Softmax is kept in mind, and a loss that takes logits of it is warned of.
void keep_softmax(Elaborator *e, const Callable *callable, Value result);
void warn_of_probabilities(Elaborator *e, const Callable *callable, const CallArguments *arguments);
// At left - right and left == right in a loss or metric: that [N, 1] and [N] make [N, N].
void warn_of_square(Elaborator *e, Operator operator, Value left, Value right, Span span);
void warn_of_zero_weights(Elaborator *e, const Entry *entry);

// ---- hyperparameters.c

void make_progress(Elaborator *e);   // `iteration` and `iterations`

// ---- entries.c, warnings.c, unused.c, data.c, train.c

void make_entries(Elaborator *e);
void warn_about_entries(Elaborator *e);
void warn_about_names(Elaborator *e);
Entry *entry_of_name(Elaborator *e, const char *name);
DataBlock *make_data(Elaborator *e, const Item *item);
void make_train(Elaborator *e, const Item *item);
const Extent *fresh_dim(Elaborator *e, const char *name);

#endif
